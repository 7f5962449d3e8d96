// Posts to each of several addresses once, by 32 connections; reads the addresses from a file, a line each.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { finished } from './finished';

const [file = '', token = ''] = process.argv.slice(2);
const connections = 32;
const addresses = readFileSync(file, 'utf8').split('\n');
const agent = new http.Agent({ keepAlive: true, maxSockets: connections });

async function post(address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
    const request = http.request(address, { agent, method: 'POST', headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${address} answered ${String(response.statusCode)}`));
      response.resume().once('end', resolve).once('error', reject);
    });
    request.once('error', reject).end();
  });
}

async function main(): Promise<void> {
  const began = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let address = addresses[next++]; address !== undefined; address = addresses[next++]) await post(address);
  };
  await Promise.all(Array.from({ length: connections }, work));
  finished(addresses.length, began);
  agent.destroy();
}

void main();
