package broker

import (
	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/jspub"
)

// outbox stores sends in mailboxes. They carry no Nats-Msg-Id: the answer to
// a duplicate names the first copy's sequence, which may be out of order.
type outbox struct{ app *App }

func (o *outbox) Publish(s actor.OutboundSend, done func(actor.WriteResult)) {
	o.app.writers.mailbox.Write(&jspub.Write{
		Subject: o.app.names.internal(s.To, s.From),
		Data:    encodeSend(&s),
	}, done)
}
