package main

import "github.com/jetfn/jetfn/internal/runtime"

// natsFlags say how jetfn proves to NATS who it is, or how clients of the
// embedded server do.
type natsFlags struct {
	NATSCreds   string `name:"nats-creds" type:"path" placeholder:"FILE" help:"Credentials for the NATS servers: a user's JWT and nkey seed."`
	NATSTLSCA   string `name:"nats-tls-ca" type:"path" placeholder:"FILE" help:"Authorities of the NATS servers' certificates, instead of the system's. For the embedded server: authorities of the certificates that clients then need."`
	NATSTLSCert string `name:"nats-tls-cert" type:"path" placeholder:"FILE" help:"Certificate to present to the NATS servers. For the embedded server: its own."`
	NATSTLSKey  string `name:"nats-tls-key" type:"path" placeholder:"FILE" help:"Its key."`
	NATSUsers   string `name:"nats-users" type:"path" placeholder:"FILE" help:"File of those who may use the embedded NATS server, lines of the form name: password; the password may be its bcrypt hash."`
	JSDomain    string `name:"js-domain" placeholder:"NAME" help:"JetStream domain of the NATS servers."`
}

func (f *natsFlags) config() runtime.NATSConfig {
	return runtime.NATSConfig{
		Creds: f.NATSCreds, TLSCA: f.NATSTLSCA, TLSCert: f.NATSTLSCert, TLSKey: f.NATSTLSKey, Domain: f.JSDomain, UserFile: f.NATSUsers,
	}
}
