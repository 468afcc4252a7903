"""StreetHazards' classes and the numbers that its annotation files hold."""

from __future__ import annotations

from enum import IntEnum


class Label(IntEnum):
    """Value of a pixel in an annotation PNG; the train id is one less.

    Source: the released StreetHazards set and its loader (13 trained classes, of which 0 is the background).
    """

    BACKGROUND = 1
    BUILDING = 2
    FENCE = 3
    OTHER = 4
    PEDESTRIAN = 5
    POLE = 6
    ROAD_LINE = 7
    ROAD = 8
    SIDEWALK = 9
    VEGETATION = 10
    CAR = 11
    WALL = 12
    TRAFFIC_SIGN = 13
    ANOMALY = 14
