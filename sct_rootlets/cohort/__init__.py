"""A cohort: a BIDS folder in, a derivative dataset out, scan by scan, on several processes or a cluster.

`plan` says what is to be done, `record` what has been done, `scan` does one scan, `worker` many, `engine` starts
workers and waits for them, `dataset` writes what describes the whole, `run` calls them in order.
"""
