from fastrelay.cli import main

main()
