// Judges certificate chains as Go's TLS clients do, the API server among them: crypto/x509 alone, no network.
//
// Reads a JSON list of cases from stdin and prints a JSON list of texts in the same order: the empty text where the chain verifies for
// every host, else what is wrong.
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
)

type chainCase struct {
	Bundle string   `json:"bundle"`
	Chain  string   `json:"chain"`
	Hosts  []string `json:"hosts"`
}

func main() {
	var cases []chainCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fmt.Fprintln(os.Stderr, "read cases: expected a JSON list of {bundle, chain, hosts}:", err)
		os.Exit(2)
	}
	verdicts := make([]string, len(cases))
	for i, c := range cases {
		if err := verify(c); err != nil {
			verdicts[i] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(verdicts); err != nil {
		os.Exit(1)
	}
}

func verify(c chainCase) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.Bundle)) {
		return fmt.Errorf("bundle without a certificate")
	}
	var leaf *x509.Certificate
	intermediates := x509.NewCertPool()
	for block, rest := pem.Decode([]byte(c.Chain)); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		if leaf == nil {
			leaf = certificate
		} else {
			intermediates.AddCert(certificate)
		}
	}
	if leaf == nil {
		return fmt.Errorf("chain without a certificate")
	}
	for _, host := range c.Hosts {
		options := x509.VerifyOptions{
			Roots:         roots,
			Intermediates: intermediates,
			DNSName:       host,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		if _, err := leaf.Verify(options); err != nil {
			return err
		}
	}
	return nil
}
