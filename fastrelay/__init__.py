"""fastrelay relays live streams: one upstream connection, any number of viewers."""

__version__ = "0.1.0"
