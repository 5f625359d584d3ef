"""What ``python -m napari_tessera`` does: the command line."""

from napari_tessera.cli.main import main

if __name__ == "__main__":
    main()
