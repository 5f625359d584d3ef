"""The plugin's jobs: their worker process, their runner, and what a person sees of them."""
