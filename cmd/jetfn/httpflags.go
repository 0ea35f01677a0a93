package main

import (
	"os"
	"strings"

	"github.com/jetfn/jetfn/internal/runtime"
)

// tokensVariable holds what a tokens file would.
const tokensVariable = "JETFN_TOKENS"

// httpFlags say who may use the HTTP listener, and how much of it.
type httpFlags struct {
	Tokens         string `type:"path" placeholder:"FILE" help:"File of bearer tokens, lines of the form role: token, with the roles ingress, read and admin. The variable JETFN_TOKENS has such lines themselves, or separates them by commas."`
	TLSCert        string `name:"tls-cert" type:"path" placeholder:"FILE" help:"Certificate of the HTTP listener, in PEM form."`
	TLSKey         string `name:"tls-key" type:"path" placeholder:"FILE" help:"Its key."`
	TLSClientCA    string `name:"tls-client-ca" type:"path" placeholder:"FILE" help:"Authorities one of which has to have signed a client's certificate."`
	MaxBody        int64  `default:"8323072" help:"Bytes that the body of a request may have."`
	MaxHeader      int    `default:"65536" help:"Bytes that the headers of a request may have."`
	MaxConnections int    `default:"4096" help:"Connections that are served at a time."`
	MaxRequests    int    `default:"16384" help:"Requests in progress at a time, without probes; more are answered 429."`
}

func (f *httpFlags) config() runtime.HTTPConfig {
	return runtime.HTTPConfig{
		TokenFile: f.Tokens, Tokens: strings.ReplaceAll(os.Getenv(tokensVariable), ",", "\n"),
		TLSCert: f.TLSCert, TLSKey: f.TLSKey, TLSClientCA: f.TLSClientCA,
		MaxBodyBytes: f.MaxBody, MaxHeaderBytes: f.MaxHeader, MaxConnections: f.MaxConnections, MaxRequests: f.MaxRequests,
	}
}
