"""What `run_on_gpu.sh` of a bundle for GPUs runs; the standard library alone.

A bundle carries this folder. Nothing here needs eisbach's Python package, which
would have to be built for the Python of that machine.
"""
