"""Jobs on images of any size: train, predict, evaluate; what the command line and the plugin call."""
