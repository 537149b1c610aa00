"""What several tests share. There are no tests in this package."""
