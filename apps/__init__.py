"""Apps that come with microrollup."""
