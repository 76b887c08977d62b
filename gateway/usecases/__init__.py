"""What the gateway does, one module per activity: collect 存证采集, anchor 上链, finality 见证, waiting, retrieve 存证管理.

A use case is a class that holds its ports and is told what to do by a door (`web`) or by its own loop. It knows rules
(`domain`) and ports, never SQL, gRPC or HTTP.
"""
