// A client of the official TypeScript SDK that does what it is told.
//
// Arguments: the address of a server, and `legacy`, `auto` or a version of the protocol to insist on.
// A token is in AKOSHA_TOKEN, the folder of the packages in MODULES. Each line of the input is a JSON
// command; each line of the output answers one: `{"ok": …}` or `{"error": {"name", "code", "message"}}`.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Client, StreamableHTTPClientTransport } = createRequire(`${process.env.MODULES}/`)(
  "@modelcontextprotocol/client",
);

const [url, era] = process.argv.slice(2);
const token = process.env.AKOSHA_TOKEN;
const mode = ["legacy", "auto"].includes(era) ? era : { pin: era };
const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
const transport = new StreamableHTTPClientTransport(new URL(url), {
  authProvider: token ? { token: async () => token } : undefined,
});

const commands = {
  connect: async () => {
    await client.connect(transport);
    return { version: client.getNegotiatedProtocolVersion(), server: client.getServerVersion() };
  },
  list: async () => (await client.listTools()).tools,
  call: async ({ name, arguments: given, progress, abandon_after_ms }) => {
    const told = [];
    const result = await client.callTool(
      { name, arguments: given },
      {
        ...(progress && { onprogress: (step) => told.push(step) }),
        ...(abandon_after_ms && { signal: AbortSignal.timeout(abandon_after_ms) }),
      },
    );
    return { ...result, told };
  },
  read: ({ uri }) => client.readResource({ uri }),
  prompt: ({ name, arguments: given }) => client.getPrompt({ name, arguments: given }),
  close: () => client.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: what, ...command } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await commands[what](command)) ?? null };
  } catch (error) {
    answer = { error: { name: error.name, code: error.code ?? null, message: String(error.message) } };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
