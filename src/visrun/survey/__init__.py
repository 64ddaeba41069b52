"""What a folder can be trained on: the tasks it serves, its counts and sizes, its problems, a sheet of its labels."""
