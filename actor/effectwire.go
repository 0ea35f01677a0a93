package actor

import "google.golang.org/protobuf/encoding/protowire"

func (w *fieldWriter) envelope(num protowire.Number, e *Envelope) {
	start := w.begin(num)
	w.b = AppendEnvelope(w.b, e)
	w.end(start)
}

func (w *fieldWriter) timerID(id TimerID) {
	w.uint(1, id.Epoch)
	w.uint(2, id.Commit)
	w.int(3, id.Index)
}

func readTimerID(b []byte) (id TimerID, fired bool, err error) {
	err = readFields(b, func(f *field) error {
		switch f.num {
		case 1:
			id.Epoch = f.v
		case 2:
			id.Commit = f.v
		case 3:
			id.Index = f.int()
		case 4:
			fired = f.v != 0
		}
		return nil
	})
	return id, fired, err
}

// AppendTimer appends the wire form of t, a protobuf message, to b.
func AppendTimer(b []byte, t *Timer) []byte {
	w := fieldWriter{b: b}
	w.message(1, func(w *fieldWriter) { w.timerID(t.ID) })
	w.int64(2, t.DueAt)
	w.text(3, t.Token)
	w.envelope(4, &t.Envelope)
	return w.b
}

// ParseTimer reads what AppendTimer wrote.
func ParseTimer(b []byte) (t Timer, err error) {
	err = readFields(b, func(f *field) (err error) {
		switch f.num {
		case 1:
			t.ID, _, err = readTimerID(f.data)
		case 2:
			t.DueAt = f.int64()
		case 3:
			t.Token = f.text()
		case 4:
			t.Envelope, err = ParseEnvelope(f.data)
		}
		return err
	})
	return t, err
}

func (w *fieldWriter) egress(e *egressEffect) {
	w.address(1, e.source)
	w.text(2, e.trace.Parent)
	w.text(3, e.trace.State)
	w.text(4, e.message.ID.Namespace)
	w.text(5, e.message.ID.Name)
	w.text(6, e.message.Key)
	w.text(7, e.message.Topic)
	w.value(8, e.message.Value)
}

func readEgress(b []byte) (e egressEffect, err error) {
	err = readFields(b, func(f *field) (err error) {
		switch f.num {
		case 1:
			e.source, err = readAddress(f.data)
		case 2:
			e.trace.Parent = f.text()
		case 3:
			e.trace.State = f.text()
		case 4:
			e.message.ID.Namespace = f.text()
		case 5:
			e.message.ID.Name = f.text()
		case 6:
			e.message.Key = f.text()
		case 7:
			e.message.Topic = f.text()
		case 8:
			e.message.Value, err = readValue(f.data)
		}
		return err
	})
	return e, err
}

func (w *fieldWriter) deadLetter(d *DeadLetter) {
	w.envelope(1, &d.Envelope)
	w.text(2, d.Reason)
	w.text(3, d.Error)
	w.int(4, d.HTTPStatus)
	w.text(5, d.Endpoint)
	w.int(6, d.Attempts)
	w.int64(7, d.FirstAt)
	w.int64(8, d.LastAt)
}

func readDeadLetter(b []byte) (d DeadLetter, err error) {
	err = readFields(b, func(f *field) (err error) {
		switch f.num {
		case 1:
			d.Envelope, err = ParseEnvelope(f.data)
		case 2:
			d.Reason = f.text()
		case 3:
			d.Error = f.text()
		case 4:
			d.HTTPStatus = f.int()
		case 5:
			d.Endpoint = f.text()
		case 6:
			d.Attempts = f.int()
		case 7:
			d.FirstAt = f.int64()
		case 8:
			d.LastAt = f.int64()
		}
		return err
	})
	return d, err
}
