package module

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/jetfn/jetfn/actor"
	"github.com/jetfn/jetfn/internal/cron"
	"github.com/jetfn/jetfn/internal/wire"
)

const formAddress = `^[^/]+/[^/]+/.+$`

func cronIngress(l *loader, d declared) mapping {
	in := &cron.Ingress{ID: d.id}
	var schedule, payload, valueType string
	keys := d.idKey(l.typeName(&in.ID), "Its name, `ns/name`. Ticks are counted per name.")
	keys = append(keys,
		required("schedule", textLike(&schedule, Schema{Type: typeText, MinLength: 1}, checkSchedule),
			"Five fields (minute, hour, day of month, month, day of week), `@hourly` and the like, or `@every 90s`. `CRON_TZ=Europe/Berlin` and a blank before it name the time zone; the default is UTC."),
		required("targets", l.addresses(&in.Targets), "Addresses, `ns/type/id`; each gets a message at each tick."),
		optional("payload", text(&payload), "What the messages hold."),
		defaults("valueType", l.valueType(&valueType), "`"+actor.StringType+"`", "The type of the payload. For `io.statefun.types/*` the text is encoded, for others its bytes are sent."),
		optional("missed", choice(&in.Missed, "latest", word[cron.Missed]{"latest", cron.MissedLatest}, word[cron.Missed]{"skip", cron.MissedSkip}),
			"What becomes of ticks while nothing ran: `latest` makes up for the newest one, once; `skip` leaves out what is more than a minute late."),
	)
	return mapping{keys: keys, finish: func(o *object) {
		if n, path := d.place(o); !in.ID.IsZero() {
			l.once(n, path, "ingress "+in.ID.String())
		}
		if schedule != "" {
			in.Schedule, _ = cron.Parse(schedule) // checked above
		}
		if valueType == "" {
			valueType = actor.StringType
		}
		in.Value = actor.Value{Type: valueType, Data: []byte(payload)}
		if strings.HasPrefix(valueType, "io.statefun.types/") {
			data, err := wire.FromText(valueType, payload)
			if err != nil {
				n, path := o.place("payload"), o.at("payload")
				l.errorf(n, path, "", "%v", err)
			}
			in.Value.Data = data
		}
		l.module.CronIngresses = append(l.module.CronIngresses, CronIngress{Pos: d.pos, Ingress: *in})
	}}
}

func checkSchedule(s string) error {
	_, err := cron.Parse(s)
	return err
}

// addresses are those that get what comes in.
func (l *loader) addresses(into *[]actor.Address) value {
	return list[actor.Address]{
		into: into, least: 1, name: func(a actor.Address) string { return "target " + a.String() },
		item: func(a *actor.Address) value {
			return scalar[actor.Address]{into: a, form: Schema{Type: typeText, Pattern: formAddress}, parse: parseAddress}
		},
	}
}

func parseAddress(l *loader, n *yaml.Node, path string) (actor.Address, bool) {
	s := l.text(n, path)
	if s == "" {
		return actor.Address{}, false
	}
	a, err := actor.ParseAddress(s)
	if err != nil {
		l.errorf(n, path, "", "%v", err)
		return actor.Address{}, false
	}
	if !l.free(n, path, a.Type.Namespace) {
		return actor.Address{}, false
	}
	l.aims = append(l.aims, aim{a.Type, l.pos(n), path})
	return a, true
}
