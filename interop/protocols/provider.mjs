// An OpenID provider that nobody here wrote (npm oidc-provider), and a resource that asks it whether a token lives.
import http from 'node:http';
import Provider from 'oidc-provider';

const listening = (server) =>
  new Promise((done) => server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`)));
const client = (client_id, client_secret, token_endpoint_auth_method) => ({
  client_id,
  client_secret,
  token_endpoint_auth_method,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

let provider;
const issuing = http.createServer((request, response) => provider.callback()(request, response));
const issuer = await listening(issuing);
provider = new Provider(issuer, {
  clients: [
    client('worker', process.env.POST_SECRET, 'client_secret_post'),
    client('worker:basic', process.env.BASIC_SECRET, 'client_secret_basic'),
  ],
  scopes: ['read'],
  features: {
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    devInteractions: { enabled: false },
  },
});

const used = [];
const resource = await listening(
  http.createServer(async (request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/used') {
      const alive = await Promise.all(used.map((token) => provider.ClientCredentials.find(token)));
      return response.end(JSON.stringify({ used: used.length, alive: alive.filter(Boolean).length }));
    }
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    const found = await provider.ClientCredentials.find(token);
    if (!found) return response.writeHead(401).end();
    used.push(token);
    return response.end(JSON.stringify({ client: found.clientId, scope: found.scope }));
  }),
);
console.log(JSON.stringify({ issuer, resource }));
