import { describe, expect, it } from 'vitest';
import { ADDED, DUPLICATE, FLOODED, hashKey, KeyTable } from '../../../src/privacy/key-table.ts';

const OBJECT = 0;
const source = { keyAt: (token: number) => `key-${token}` };

describe('KeyTable', () => {
  it('ends a search among keys that an attacker made collide', () => {
    const table = new KeyTable();
    table.clear();
    const found = Array.from({ length: 1_000 }, (_, token) => table.add(OBJECT, token, 7, source));
    expect(found.indexOf(FLOODED)).toBeGreaterThan(100);
    expect(found.indexOf(FLOODED)).toBeLessThan(300);
  });

  it('tells keys with the same hash apart by their text', () => {
    const table = new KeyTable();
    table.clear();
    expect(table.add(OBJECT, 1, 7, source)).toBe(ADDED);
    expect(table.add(OBJECT, 2, 7, source)).toBe(ADDED);
    expect(table.add(OBJECT, 2, 7, source)).toBe(DUPLICATE);
    expect(table.add(4, 2, 7, source)).toBe(ADDED);
  });

  it('keeps the keys of different objects apart, however many have the same', () => {
    const table = new KeyTable();
    table.clear();
    for (let object = 0; object < 2_000; object += 1) expect(table.add(object, 2, 7, source)).toBe(ADDED);
    for (let object = 0; object < 2_000; object += 1) expect(table.add(object, 2, 7, source)).toBe(DUPLICATE);
  });

  it('does not take objects at even distances for an attack', () => {
    for (let stride = 1; stride <= 2 ** 20; stride *= 2) {
      const table = new KeyTable();
      table.clear();
      for (let index = 0; index < 1_000; index += 1) expect(table.add(index * stride, 2, 7, source)).toBe(ADDED);
    }
  });

  it('forgets the document before, also when that one was large', () => {
    const table = new KeyTable();
    for (let round = 0; round < 3; round += 1) {
      table.clear();
      for (let token = 0; token < 5_000; token += 1) {
        expect(table.add(OBJECT, token, hashKey(`key-${token}`), source)).toBe(ADDED);
      }
      expect(table.add(OBJECT, 77, hashKey('key-77'), source)).toBe(DUPLICATE);
    }
  });

  it('holds a million keys without a long search', () => {
    const table = new KeyTable();
    table.clear();
    let added = 0;
    for (let token = 0; token < 1_000_000; token += 1) {
      if (table.add(OBJECT, token, hashKey(`k${token}`), source) === ADDED) added += 1;
    }
    expect(added).toBe(1_000_000);
  });
});
