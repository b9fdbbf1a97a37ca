module logtender.invalid/x509

go 1.21
