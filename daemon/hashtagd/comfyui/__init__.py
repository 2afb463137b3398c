"""What we know of a ComfyUI beside us: where its models lie and whether it is busy."""
