"""The networks and the kernels that speed them up."""
