"""Where diagnostic code runs, isolated from files, network, keys and the parent process.

What belongs here: the `Sandbox` protocol and what implements it, as the parent sees it: `choose` (which sandbox),
`local` and `process` (start it, bound it, kill it), `sweep` (what killed ones left), `isolation`, `cgroups` and `probe`
(what confines it, and whether that holds), `e2b` and `e2b_client` (the same at a paid service), `run`, `frames`,
`heard` and `text` (reading what comes back, all of it hostile). The folder `inside` holds the other side.

What doesn't: what the analyses are about. This folder knows rows, code and findings; hypotheses live in `agents`.
"""
