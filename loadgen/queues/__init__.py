"""How chunks pass from hand to hand.

`leases` decides (pure), `supply` knows what is left to hand out (pure), `memory` is the queue itself,
`server` and `client` carry it over the network, `wire` and `token` keep strangers out.
"""
