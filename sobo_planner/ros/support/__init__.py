"""What both nodes share: parameters, status names, process and DDS domain."""
