"""A real SMTP server for tests: Debian's python3-aiosmtpd on a free port of 127.0.0.1, which it prints.

mail.py DIRECTORY [--tls starttls|implicit] [--certificate FILE --key FILE] [--login USER:PASSWORD]

Each message that it takes becomes DIRECTORY/N.eml, with the envelope in front. DIRECTORY/manner, read anew at each
command, says how it behaves: take, reject-recipient, defer-recipient, reject-sender, reject-message, slow, hold-answer,
lose-answer, half-close, no-goodbye.
"""
import argparse
import asyncio
import os
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

arguments = argparse.ArgumentParser()
arguments.add_argument("directory")
arguments.add_argument("--tls", choices=["starttls", "implicit"])
arguments.add_argument("--certificate")
arguments.add_argument("--key")
arguments.add_argument("--login")
options = arguments.parse_args()
taken = 0


def manner():
    try:
        with open(os.path.join(options.directory, "manner")) as file:
            return file.read().strip()
    except FileNotFoundError:
        return "take"


def authenticate(server, session, envelope, mechanism, data):
    expected = options.login.split(":")
    correct = isinstance(data, LoginPassword) and [data.login.decode(), data.password.decode()] == expected
    return AuthResult(success=correct, handled=False)


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        if manner() == "reject-sender":
            return "553 5.7.1 sender not allowed"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if manner() == "reject-recipient":
            return f"550 5.1.1 <{address}>: nobody of this name, about P0001"
        if manner() == "defer-recipient":
            return "450 4.2.0 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global taken
        how = manner()
        if how == "reject-message":
            return "554 5.7.1 message refused"
        # Until it is told otherwise.
        while manner() == "slow":
            await asyncio.sleep(0.05)
        taken += 1
        head = [
            f"X-Sender: {envelope.mail_from}", f"X-Recipients: {','.join(envelope.rcpt_tos)}",
            f"X-TLS: {'yes' if session.ssl else 'no'}", f"X-Login: {'yes' if session.authenticated else 'no'}",
        ]
        path = os.path.join(options.directory, f"{taken}.eml")
        with open(path + ".part", "wb") as file:
            file.write("\r\n".join(head).encode() + b"\r\n" + envelope.original_content)
        os.rename(path + ".part", path)
        if how == "hold-answer":
            await asyncio.sleep(60)
        if how == "lose-answer":
            server.transport.abort()
        if how == "half-close":
            server.transport.write_eof()
            await asyncio.sleep(60)
        return "250 2.0.0 taken"

    async def handle_QUIT(self, server, session, envelope):
        if manner() == "no-goodbye":
            await asyncio.sleep(60)
        return "221 goodbye"


def context():
    if not options.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certificate, options.key)
    return context


async def main():
    starttls = options.tls == "starttls"

    def session():
        return SMTP(
            Handler(), hostname="mail.test", tls_context=context() if starttls else None, require_starttls=starttls,
            auth_required=bool(options.login), auth_require_tls=starttls,
            authenticator=authenticate if options.login else None)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        session, "127.0.0.1", 0, ssl=context() if options.tls == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
