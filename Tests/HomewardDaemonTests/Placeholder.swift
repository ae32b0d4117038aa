// HomewardDaemon
