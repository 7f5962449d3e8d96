import { Fuzz } from '../fuzz/fuzz';
import { fuzzSettings } from '../fuzz/world';
import { Service } from '../support/service';

/** Another one each time; what is found is repeated by `npm run fuzz` with its number and seed. */
const seed = Math.floor(Math.random() * 2 ** 31);
const requests = 1_000;
let service: Service;

beforeAll(async () => {
  service = await Service.startOnServer({ settings: fuzzSettings });
}, 120_000);

afterAll(async () => {
  await service.stop();
}, 60_000);

describe('generated requests, good, mutated and hostile', () => {
  it('get the answers of the contract, and nobody sees another tenant’s data', async () => {
    const { findings } = await Fuzz.run({ requests, seed }, service, () => undefined);
    expect({ seed, findings }).toEqual({ seed, findings: [] });
  }, 240_000);
});
