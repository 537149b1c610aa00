"""An adapter for igniter-store that stores keys as files in a folder.

Any number of processes can share the folder, on Linux and macOS.
"""

from igniter_store_folder.adapter import FolderAdapter

__all__ = ["FolderAdapter"]
