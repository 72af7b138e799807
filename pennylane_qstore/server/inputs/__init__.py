"""What a submission may hold, checked and read."""
