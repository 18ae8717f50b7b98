// A mail server made of the npm packages smtp-server and mailparser, in the hands of a
// Go test.
//
//   node mail.js USER PASSWORD   listens, and prints {"listening": PORT}
//
// It wants a log-in, offers STARTTLS with a certificate of its own, and prints each mail
// as it understands it: {"mail": {…}}. A recipient that begins with "no" is refused.
'use strict';

const {SMTPServer} = require('smtp-server');
const {simpleParser} = require('mailparser');

const [user, password] = process.argv.slice(2);

function print(line) { process.stdout.write(JSON.stringify(line) + '\n'); }

const server = new SMTPServer({
	onAuth(auth, _session, done) {
		if (auth.username === user && auth.password === password) return done(null, {user});
		done(new Error('535 no'));
	},
	onRcptTo(address, _session, done) {
		if (!address.address.startsWith('no')) return done();
		const err = new Error('there is no such user');
		err.responseCode = 550;
		done(err);
	},
	onData(stream, session, done) {
		simpleParser(stream).then((mail) => {
			print({mail: {
				from: session.envelope.mailFrom.address, to: session.envelope.rcptTo.map((r) => r.address), tls: session.secure, user: session.user,
				subject: mail.subject, sender: mail.from && mail.from.text, replyTo: mail.replyTo && mail.replyTo.text, text: mail.text, html: mail.html || '',
				messageId: mail.messageId, signatures: mail.headerLines.filter((l) => l.key === 'dkim-signature').length,
			}});
			done();
		}, done);
	},
});
server.on('error', (err) => print({error: String(err)}));
server.listen(0, '127.0.0.1', () => print({listening: server.server.address().port}));
