"""The only room that knows concrete classes and starts threads."""
