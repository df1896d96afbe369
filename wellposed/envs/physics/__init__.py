"""The physics of n environments, on the threads of the CPU."""
