"""Where diagnostic code runs, isolated from files, network, keys and the parent process.

What belongs here: the `Sandbox` protocol and what implements it. Two sides, and a file is on one of them:

- the parent's: `choose` (which sandbox), `local` and `process` (start it, bound it, kill it), `isolation`, `cgroups`
  and `probe` (what confines it, and whether that holds), `e2b` and `e2b_client` (the same at a paid service), `frames`,
  `heard` and `text` (reading what comes back, all of it hostile);
- inside: `analysis`, `own_process`, `values`, `toolkit` everywhere; on this machine `boot`, `confine` (with
  `namespaces`, `privileges` and `seccomp`), `zygote`, `server` and `worker`; at e2b `relay` and `hosted`. These are
  started by path in an interpreter of their own, import the standard library, numpy, pandas and each other, and nothing
  else of sage-spo.

What doesn't: what the analyses are about. This folder knows rows, code and findings; hypotheses live in `agents`.
"""
