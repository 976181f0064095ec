"""A cohort: from a BIDS folder to a derivative dataset, scan by scan, on several processes or a cluster.

`selection` and `plan` choose the scans, `job` knows the inputs and outputs of one, `record` what was written of it, and
`attempt` how far it has come. `process` computes one scan, `measures` measures one, `worker` does both for many, and
`engine` starts workers (`slurm` asks the queue). `dataset` and `status` describe the results as a whole, and `run`
calls all of these in order.
"""
