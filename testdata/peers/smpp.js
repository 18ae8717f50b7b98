// An SMPP peer made of the npm package smpp, in the hands of a Go test.
//
//   node smpp.js esme HOST PORT   connects
//   node smpp.js smsc             listens, and prints {"listening": PORT}
//
// Commands come as JSON, one a line, on standard input:
//
//   {"send": "submit_sm", "pdu": {…}}   prints {"answer": "submit_sm_resp", "pdu": {…}}
//   {"refuse": "submit_sm", "status": 88, "times": 1}   answers the next ones with that
//   {"drop": true}                      ends all connections without a word
//
// Every request of the other side is answered and printed as
// {"request": "deliver_sm", "pdu": {…}}; an end as {"closed": true}. Octets are
// {"hex": "…"} in both directions.
'use strict';

const smpp = require('smpp');
const readline = require('readline');

const [role, host, port] = process.argv.slice(2);
const sessions = new Set();
const refusals = [];
let messages = 0;

function print(line) { process.stdout.write(JSON.stringify(line) + '\n'); }

// plain makes octets and dates printable.
function plain(value) {
	if (Buffer.isBuffer(value)) return {hex: value.toString('hex')};
	if (value instanceof Date) return value.toISOString();
	if (Array.isArray(value)) return value.map(plain);
	if (value === null || typeof value !== 'object') return value;
	return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
}

// octets is the other direction.
function octets(value) {
	if (value === null || typeof value !== 'object') return value;
	if (typeof value.hex === 'string') return Buffer.from(value.hex, 'hex');
	if (Array.isArray(value)) return value.map(octets);
	return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, octets(v)]));
}

function answer(session, pdu) {
	const i = refusals.findIndex(r => r.refuse === pdu.command && r.times > 0);
	const fields = {};
	if (i >= 0) {
		refusals[i].times--;
		fields.command_status = refusals[i].status;
	} else if (pdu.command === 'submit_sm' || pdu.command === 'data_sm') {
		fields.message_id = (++messages).toString(16).toUpperCase().padStart(8, '0');
	} else if (pdu.command.startsWith('bind_')) {
		fields.system_id = 'node';
	}
	const response = pdu.response(fields);
	session.send(response);
	print({request: pdu.command, pdu: plain(pdu), status: fields.command_status || 0, message_id: fields.message_id || ''});
}

function serve(session) {
	sessions.add(session);
	session.on('error', e => print({error: String(e)}));
	session.on('close', () => { sessions.delete(session); print({closed: true}); });
	session.on('pdu', pdu => { if (!pdu.isResponse()) answer(session, pdu); });
}

if (role === 'smsc') {
	const server = smpp.createServer({}, serve);
	server.listen(0, '127.0.0.1', () => print({listening: server.address().port}));
} else {
	const session = smpp.connect({host, port: Number(port)}, () => print({connected: true}));
	serve(session);
}

readline.createInterface({input: process.stdin}).on('line', line => {
	const command = JSON.parse(line);
	if (command.send) {
		for (const session of [...sessions].slice(-1)) {
			session[command.send](octets(command.pdu || {}), pdu => print({answer: pdu.command, pdu: plain(pdu)}));
		}
	} else if (command.refuse) {
		refusals.push(command);
	} else if (command.drop) {
		for (const session of sessions) session.destroy();
	}
}).on('close', () => process.exit(0));
