// Package sdknats serves functions of package sdk over NATS: the program
// needs no open port, any number of them share the calls, and a worker on the
// same NATS finds them by themselves.
//
// A service is a NATS micro service, so `nats micro ls` shows it. Each
// function type has an endpoint with the subject "<prefix>.<namespace>.<name>",
// in StateFun's protocol 3.x: a request's body is a ToFunction message, the
// answer's a FromFunction. While a call takes longer, a message without a body
// and with the header "Jetfn-Status: working" comes every second; whoever
// called and hears nothing for some seconds knows that the service has died.
// The header "Jetfn-Timeout" of a call is how long it may take, and ends its
// Context.
// Errors are those of NATS micro: Nats-Service-Error-Code 500, or 400 if the
// message is not to be tried again, and "Jetfn-Retry-After" with a duration.
package sdknats
