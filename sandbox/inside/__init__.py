"""What runs inside a sandbox: started by path in an interpreter of its own, without sage_spo around it.

What belongs here: everywhere `analysis` (runs given code), `own_process`, `values`, `toolkit`; on this machine `boot`,
`zygote`, `server` and `worker` (the processes, from the first to the last) and `confine` with `namespaces`,
`privileges` and `seccomp`; at e2b `relay` and `hosted`; and `plan`, what the parent tells them, read on both sides.

What doesn't: anything that imports more than the standard library, numpy, pandas, sandlock and what is in here.
"""
