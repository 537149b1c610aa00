"""An adapter for igniter-store whose keys are files in a folder: shared by any number of processes,
on Linux and macOS.
"""

from igniter_store_folder.adapter import FolderAdapter

__all__ = ["FolderAdapter"]
