"""The training page: a local web server over the same schema, compose and run folders as the command line."""
