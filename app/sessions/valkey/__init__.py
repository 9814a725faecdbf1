"""Sessions in Valkey (or Redis), shared by many processes. Imported only where GRADSTEP_STORE is the URL of one."""
