package runtime

import (
	"time"

	"trunkline/flowengine"
	"trunkline/flowengine/record"
)

// The numbers of the stored form of a call record. Those of the charge are
// flowengine's (9–11), in a record of their own.
const (
	callID = iota + 1
	callLeg
	callOrigin
	callOutbound
	callTrunk
	callFrom
	callTo
	callSetup
	callAlerting
	callAnswered
	callEnded
	callFinal
	callStatus
	callCause
	callBy
	callDetail
	callCodec
	callMOS
	callLost
	callJitter
	callCharge
	callBilled
	callBoot
	callExecutor
	callTrace
)

func (r *CallRecord) append(b []byte) []byte {
	b = record.AppendString(b, callID, r.Call)
	b = record.AppendUint(b, callLeg, uint64(r.Leg))
	b = record.AppendNested(b, callOrigin, func(b []byte) []byte { return flowengine.AppendOrigin(b, &r.Origin) })
	b = record.AppendBool(b, callOutbound, r.Outbound)
	b = record.AppendString(b, callTrunk, r.Trunk)
	b = record.AppendString(b, callFrom, r.From)
	b = record.AppendString(b, callTo, r.To)
	b = record.AppendTime(b, callSetup, r.Setup)
	b = record.AppendTime(b, callAlerting, r.Alerting)
	b = record.AppendTime(b, callAnswered, r.Answered)
	b = record.AppendTime(b, callEnded, r.Ended)
	b = record.AppendBool(b, callFinal, r.Final)
	b = record.AppendUint(b, callStatus, uint64(r.Status))
	b = record.AppendUint(b, callCause, uint64(r.Cause))
	b = record.AppendString(b, callBy, r.By)
	b = record.AppendString(b, callDetail, r.Detail)
	b = record.AppendString(b, callCodec, r.Codec)
	b = record.AppendUint(b, callMOS, uint64(r.MOS))
	b = record.AppendUint(b, callLost, uint64(r.Lost))
	b = record.AppendInt(b, callJitter, int64(r.Jitter))
	if r.Charge != (flowengine.Charge{}) {
		b = record.AppendNested(b, callCharge, func(b []byte) []byte { return flowengine.AppendCharge(b, &r.Charge) })
	}
	b = record.AppendInt(b, callBilled, int64(r.Billed))
	b = record.AppendUint(b, callBoot, uint64(r.boot))
	b = record.AppendUint(b, callExecutor, uint64(r.executor))
	return record.AppendString(b, callTrace, r.Trace)
}

func decodeCallRecord(b []byte) (*CallRecord, error) {
	r := new(CallRecord)
	return r, record.Decode(b, "record of a call", func(f record.Field) (err error) {
		switch f.Num {
		case callID:
			r.Call = string(f.Bytes)
		case callLeg:
			r.Leg = uint16(f.Uint)
		case callOrigin:
			err = flowengine.DecodeOrigin(f.Bytes, &r.Origin)
		case callOutbound:
			r.Outbound = f.Bool()
		case callTrunk:
			r.Trunk = string(f.Bytes)
		case callFrom:
			r.From = string(f.Bytes)
		case callTo:
			r.To = string(f.Bytes)
		case callSetup:
			r.Setup = f.Time()
		case callAlerting:
			r.Alerting = f.Time()
		case callAnswered:
			r.Answered = f.Time()
		case callEnded:
			r.Ended = f.Time()
		case callFinal:
			r.Final = f.Bool()
		case callStatus:
			r.Status = uint16(f.Uint)
		case callCause:
			r.Cause = uint8(f.Uint)
		case callBy:
			r.By = string(f.Bytes)
		case callDetail:
			r.Detail = string(f.Bytes)
		case callCodec:
			r.Codec = string(f.Bytes)
		case callMOS:
			r.MOS = uint16(f.Uint)
		case callLost:
			r.Lost = uint16(f.Uint)
		case callJitter:
			r.Jitter = time.Duration(f.Int())
		case callCharge:
			err = record.Decode(f.Bytes, "price", func(f record.Field) error { return flowengine.DecodeCharge(f, &r.Charge) })
		case callBilled:
			r.Billed = time.Duration(f.Int())
		case callBoot:
			r.boot = uint32(f.Uint)
		case callExecutor:
			r.executor = uint32(f.Uint)
		case callTrace:
			r.Trace = string(f.Bytes)
		}
		return err
	})
}
