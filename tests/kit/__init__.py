"""What the tests of the whole server reuse.

position_coded   a transport stream in which every packet says where it belongs
checker          proves that a viewer got it whole, cleanly joined and cleanly switched
origin           an HTTP provider on real sockets, with counts (ledger) and manners (behaviours)
hls_origin       a live HLS provider on it, with its faults
ladder           a live HLS provider with variants, renditions, encryption and fMP4
viewer, healthy  players: hundreds in the test's loop, and one that must notice nothing
server           the real server as a process of its own
clips, vlc       real encoders, decoders and players
"""
