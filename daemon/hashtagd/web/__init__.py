"""What a browser or a collector of metrics may look at on this machine; read only, off by default."""
