import { bounded } from './bounded';

it('keeps of a long text what any column can hold', () => {
  expect(bounded('x'.repeat(100_000))).toHaveLength(256);
  expect(bounded(`${'x'.repeat(255)}💥`)).toBe(`${'x'.repeat(255)}\ufffd`);
});
