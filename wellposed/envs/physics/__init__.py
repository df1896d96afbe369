"""Where the copies of a MuJoCo model are advanced: on the threads of the CPU."""
