"""What joins the parts of an assembly, one file each."""
