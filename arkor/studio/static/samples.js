// How an endpoint is asked, in three languages. Its `model` is ignored: it has only one.
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const SAMPLES = {
  cURL: ({ url }, key) => [
    `curl ${quoted(url)} \\`,
    ...(key ? ['  -H "Authorization: Bearer $ARKOR_ENDPOINT_KEY" \\'] : []),
    "  -H 'Content-Type: application/json' \\",
    `  -d '{"model": "any", "messages": [{"role": "user", "content": "Hello"}]}'`,
  ],
  Python: ({ baseUrl }, key) => [
    ...(key ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    "client = OpenAI(",
    `    base_url=${JSON.stringify(baseUrl)},`,
    `    api_key=${key ? 'os.environ["ARKOR_ENDPOINT_KEY"]' : '"none"'},`,
    ")",
    "answer = client.chat.completions.create(",
    '    model="any",',
    '    messages=[{"role": "user", "content": "Hello"}],',
    ")",
    "print(answer.choices[0].message.content)",
  ],
  JavaScript: ({ baseUrl }, key) => [
    'import OpenAI from "openai";',
    "",
    "const client = new OpenAI({",
    `  baseURL: ${JSON.stringify(baseUrl)},`,
    `  apiKey: ${key ? "process.env.ARKOR_ENDPOINT_KEY" : '"none"'},`,
    "});",
    "const answer = await client.chat.completions.create({",
    '  model: "any",',
    '  messages: [{ role: "user", content: "Hello" }],',
    "});",
    "console.log(answer.choices[0].message.content);",
  ],
};

export const LANGUAGES = Object.keys(SAMPLES);

export const sample = (language, deployment) =>
  SAMPLES[language](deployment, deployment.authMode !== "none").join("\n");
