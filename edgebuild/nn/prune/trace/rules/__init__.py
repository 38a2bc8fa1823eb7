"""What each operator does to channel numbers; one file a family, and those that none names are not followed."""
