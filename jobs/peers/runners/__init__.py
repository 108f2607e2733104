"""The scripts that call another optimiser's package, one per package. They run in that package's environment, with
its Python, by their path: they import the package, the standard library and `gateway_client`, and nothing of this
project. What a runner is told stands in `peer_process`, what it may ask in `peer_gateway`."""
